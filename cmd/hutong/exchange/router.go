package exchange

import (
	"context"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/gateway/audit"
	"hutong/gateway/auth"
	"hutong/gateway/principal"
	"hutong/gateway/web"
)

// openHTTP mounts every room's routes on one router.
func (e *Exchange) openHTTP(context.Context) error {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.ContextWithFallback, r.HandleMethodNotAllowed, r.RedirectTrailingSlash = true, true, false
	if err := r.SetTrustedProxies(nil); err != nil {
		return err
	}
	collecting := collectors.WithGoCollectorRuntimeMetrics(collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile("^/cpu/classes/gc/total:cpu-seconds$")})
	e.metrics.MustRegister(collectors.NewGoCollector(collecting), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if engine, ok := e.Store.(interface{ Metrics() prometheus.Collector }); ok {
		e.metrics.MustRegister(engine.Metrics())
	}
	r.Use(e.observe(e.metrics), secureHeaders)

	r.GET("/", func(c *gin.Context) { c.Redirect(http.StatusFound, "/resident/") })
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.Handle(method, "/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
		r.Handle(method, "/readyz", e.ready)
	}
	r.GET("/metrics", gin.WrapH(promhttp.HandlerFor(e.metrics, promhttp.HandlerOpts{})))
	site, err := web.New()
	if err != nil {
		return err
	}
	site.Mount(r)
	e.Auth.Mount(r)

	identity, err := e.identityHandlers()
	if err != nil {
		return err
	}
	many, err := e.openBulk()
	if err != nil {
		return err
	}
	fhirServer, err := rest.New(rest.Config{
		Service: e.fhir, Caller: e.policy.FromRequest, Operations: append(identityOperations(identity), many.Operations()...), Person: identity.Read, Log: e.log,
	})
	if err != nil {
		return err
	}
	authenticate := e.authenticate()
	fhirServer.Mount(r.Group("/fhir", func(c *gin.Context) {
		if c.FullPath() != "/fhir/metadata" { // anybody may ask what the server can do
			authenticate(c)
		}
	}))

	api := r.Group("/api", authenticate)
	api.GET("/me", e.Auth.Me)
	e.policy.Mount(api)
	identity.Mount(api.Group("/identity"))
	many.Mount(api.Group("/bulk"))
	e.consult.Mount(api.Group("/consultations"))
	api.GET("/audit/verify", e.verifyAudit)
	e.mountAdmin(api.Group("/admin"))
	e.recognition.Mount(r.Group("/cds-services", authenticate), api.Group("/recognition"))
	r.NoRoute(rest.NoRoute)
	r.NoMethod(func(c *gin.Context) {
		rest.WriteError(c, fhir.Errorf(fhir.MethodNotAllowed, "this method is not served here"))
	})
	e.handler = r
	return nil
}

// authenticate puts the principal of the bearer token into the context; in
// open mode everybody is the open principal.
func (e *Exchange) authenticate() gin.HandlerFunc {
	if e.cfg.Auth == "open" {
		return auth.Open()
	}
	return e.Auth.Authenticate
}

// ready answers 200 when a snapshot of the store can be read.
func (e *Exchange) ready(c *gin.Context) {
	snap, err := e.Store.Snapshot(c.Request.Context(), 0)
	if err != nil {
		c.String(http.StatusServiceUnavailable, "not ready\n")
		return
	}
	snap.Close()
	c.String(http.StatusOK, "ready\n")
}

// secureHeaders sets what every answer carries; the pages set a stricter
// policy of their own.
func secureHeaders(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if c.Request.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// observe counts and logs each request by its route, never by its URL, and
// tells later handlers where it came from.
func (e *Exchange) observe(metrics prometheus.Registerer) gin.HandlerFunc {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "hutong_http_request_seconds", Help: "Time to answer a request.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"method", "route", "status"})
	metrics.MustRegister(seconds)
	return func(c *gin.Context) {
		start := time.Now()
		id := randomHex(8)
		c.Header("X-Request-Id", id)
		host, _, _ := net.SplitHostPort(c.Request.RemoteAddr)
		origin := principal.Origin{Address: host, Request: id}
		c.Request = c.Request.WithContext(principal.WithOrigin(c.Request.Context(), origin))
		c.Next()
		route, status, took := c.FullPath(), strconv.Itoa(c.Writer.Status()), time.Since(start)
		if route == "" {
			route = "none"
		}
		seconds.WithLabelValues(c.Request.Method, route, status).Observe(took.Seconds())
		e.log.Debug().Str("method", c.Request.Method).Str("route", route).Str("status", status).Dur("took", took).Str("request", id).Msg("request")
	}
}

// verifyAudit is GET /api/audit/verify, for auditors.
func (e *Exchange) verifyAudit(c *gin.Context) {
	p := principal.From(c.Request.Context())
	if p == nil || !p.Has(principal.Auditor) {
		rest.WriteError(c, fhir.Errorf(fhir.Forbidden, "only an auditor verifies the trail"))
		return
	}
	report, err := audit.Verify(c.Request.Context(), e.Store)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	c.JSON(http.StatusOK, report)
}
