package rest

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/interact/outcome"
)

// route is one line of the table.
type route struct {
	method, path string
	handle       gin.HandlerFunc
}

// routes is the whole interface below the base. Source: R4 http.html#summary.
// A GET is a HEAD, too. Names that begin with $ are operations.
func (s *Server) routes() []route {
	return []route{
		{"GET", "/:type/:id", s.read},
		{"GET", "/:type/:id/_history/:version", s.vread},
		{"POST", "/:type", s.create},
		{"PUT", "/:type/:id", s.update},
		{"PUT", "/:type", s.updateWhere},
		{"PATCH", "/:type/:id", s.patch},
		{"PATCH", "/:type", s.patchWhere},
		{"DELETE", "/:type/:id", s.delete},
		{"DELETE", "/:type", s.deleteWhere},

		{"GET", "/:type", s.searchType},
		{"POST", "/:type/_search", s.searchType},
		{"GET", "", s.searchSystem},
		{"GET", "/", s.searchSystem},
		{"POST", "/_search", s.searchSystem},
		{"GET", "/:type/:id/:other", s.searchCompartment},
		{"POST", "/:type/:id/:other/_search", s.searchCompartment},

		{"GET", "/:type/:id/_history", s.history},
		{"GET", "/:type/_history", s.history},
		{"GET", "/_history", s.history},

		{"POST", "", s.transaction},
		{"POST", "/", s.transaction},

		{"POST", "/:type/:id", s.operate(TypeLevel)},
		{"POST", "/:type/:id/:other", s.operate(InstanceLevel)},
	}
}

// Mount puts every route of the FHIR base on g, whose path is the base:
// usually "/fhir".
func (s *Server) Mount(g *gin.RouterGroup) {
	all := g.Group("", s.identify, s.recover, s.negotiate)
	both(all, "/metadata", s.capabilities)
	known := all.Group("", s.authorize)
	for _, r := range s.routes() {
		if r.method == http.MethodGet {
			both(known, r.path, r.handle)
			continue
		}
		known.Handle(r.method, r.path, r.handle)
	}
}

// both serves GET and HEAD.
func both(g *gin.RouterGroup, path string, h gin.HandlerFunc) {
	g.GET(path, h)
	g.HEAD(path, h)
}

// operate dispatches to the operations that other rooms registered.
func (s *Server) operate(level Level) gin.HandlerFunc {
	return func(c *gin.Context) {
		name := c.Param("other")
		if level == TypeLevel {
			name = c.Param("id")
		}
		if !s.tryOperation(c, level, name) {
			WriteError(c, unknownRoute())
		}
	}
}

// tryOperation runs the operation of that name and reports whether the name is
// one.
func (s *Server) tryOperation(c *gin.Context, level Level, name string) bool {
	if !strings.HasPrefix(name, "$") {
		return false
	}
	t := fhir.Type(c.Param("type"))
	if level == SystemLevel {
		t = ""
	}
	o, ok := s.operation(t, name, level)
	switch {
	case !ok:
		WriteError(c, fhir.Errorf(fhir.NotSupported, "no such operation here"))
	case c.Request.Method != http.MethodPost && !o.Reads:
		c.Header("Allow", http.MethodPost)
		WriteError(c, fhir.Errorf(fhir.MethodNotAllowed, "the operation must be posted"))
	default:
		o.Handler(c)
	}
	return true
}

func unknownRoute() error {
	e := fhir.Errorf(fhir.NotFound, "there is nothing at this address")
	e.Issues[0].MessageID = outcome.UnknownRoute
	return e
}

// NoRoute answers requests for which there is no route; give it to the
// engine's NoRoute.
func NoRoute(c *gin.Context) { WriteError(c, unknownRoute()) }
