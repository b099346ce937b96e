package validate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gofhir/fhirpath"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/internal/schema"
)

// profile is a compiled StructureDefinition: its differential as a tree.
type profile struct {
	name string
	url  string
	typ  *schema.Type
	base *profile // the profile that it refines, if that is known too
	// contexts are the elements that an extension may stand on, such as
	// Patient or Observation.code; nil where it is not limited to elements of
	// resources.
	contexts []string
	root     *element
}

// element is what a profile says of one element, or of one slice of it.
type element struct {
	name           string
	min, max       int             // max -1: not limited here
	fields         map[string]bool // JSON names of the types of a choice that are allowed; nil = all
	targets        []string        // resource types of a reference; nil = all
	profiles       []string        // profiles of the element's type: extensions above all
	fixed          *sample
	pattern        *sample
	codes          []fhir.Coding // of a required binding; nil = none that is known
	constraints    []constraint
	children       []*element
	slices         []*slice
	discriminators []discriminator
	closed         bool // every element must be of a slice
}

// slice is a named part of a repeating element or of a choice. Its tests tell
// its members; a slice that no test can tell (by resolve(), say) is not
// checked.
type slice struct {
	element
	label string
	tests []sliceTest
}

type discriminator struct{ kind, path string }

// sample is a value of a definition: fixed[x] or pattern[x].
type sample struct {
	d  *codec.Doc
	at uint32
}

// constraint is a FHIRPath rule of a profile.
type constraint struct {
	key, text string
	severity  fhir.Severity
	expr      *fhirpath.Expression
	alone     bool // uses regular expressions: see regexes
}

// regexes keeps apart the evaluations that use regular expressions: the cache
// that gofhir/fhirpath v1.4.0 shares among them is not safe for concurrent use.
var regexes sync.Mutex

func (k *constraint) evaluate(text []byte) (fhirpath.Collection, error) {
	if k.alone {
		regexes.Lock()
		defer regexes.Unlock()
	}
	return k.expr.Evaluate(text)
}

// compileProfiles compiles the definitions by url.
func compileProfiles(s *schema.Schema, o Options) (map[string]*profile, error) {
	compiled := map[string]*profile{}
	bases := map[string]string{}
	for i, src := range o.Profiles {
		c := profileCompiler{schema: s, valueSets: o.ValueSets}
		p, base, err := c.profile(src)
		if err != nil {
			return nil, fmt.Errorf("profile %d of %d: %w", i+1, len(o.Profiles), err)
		}
		compiled[p.url], bases[p.url] = p, base
	}
	for url, base := range bases {
		compiled[url].base = compiled[base]
	}
	for _, p := range compiled {
		steps := 0
		for q := p.base; q != nil; q = q.base {
			if steps++; steps > len(compiled) {
				return nil, fmt.Errorf("profile %s is its own base", p.url)
			}
		}
	}
	return compiled, nil
}

type profileCompiler struct {
	schema    *schema.Schema
	valueSets map[string][]fhir.Coding
	d         *codec.Doc
}

func (c *profileCompiler) profile(src []byte) (p *profile, base string, err error) {
	if c.d, err = codec.Parse(src, codec.DefaultLimits()); err != nil {
		return nil, "", err
	}
	d := c.d
	p = &profile{name: d.ChildText(0, "name"), url: d.ChildText(0, "url"), root: &element{max: -1}}
	typ := d.ChildText(0, "type")
	if p.url == "" || d.ResourceType(0) != "StructureDefinition" {
		return nil, "", fmt.Errorf("not a StructureDefinition with a url")
	}
	if p.typ = c.schema.Types[typ]; p.typ == nil {
		return nil, "", fmt.Errorf("%s: R4 has no type %s", p.url, typ)
	}
	if differential := d.Child(0, "differential"); differential != 0 {
		if list := d.Child(differential, "element"); list != 0 {
			for e := range d.Children(list) {
				if err := c.element(p, e); err != nil {
					return nil, "", fmt.Errorf("%s, element %s: %w", p.url, d.ChildText(e, "id"), err)
				}
			}
		}
	}
	p.contexts = c.contexts()
	return p, d.ChildText(0, "baseDefinition"), resolveSlices(p.root)
}

func (c *profileCompiler) contexts() (paths []string) {
	list := c.d.Child(0, "context")
	if list == 0 {
		return nil
	}
	for x := range c.d.Children(list) {
		path := strings.ReplaceAll(c.d.ChildText(x, "expression"), "[x]", "")
		typ, _, _ := strings.Cut(path, ".")
		if _, ok := c.schema.Resources[typ]; !ok || c.d.ChildText(x, "type") != "element" {
			return nil
		}
		paths = append(paths, path)
	}
	return paths
}

// element adds one ElementDefinition to the tree.
func (c *profileCompiler) element(p *profile, at uint32) error {
	id := c.d.ChildText(at, "id")
	if id == "" {
		id = c.d.ChildText(at, "path")
	}
	e, t := p.root, p.typ
	segments := strings.Split(id, ".")
	for _, segment := range segments[1:] {
		name, sliceName, _ := strings.Cut(segment, ":")
		var err error
		if e, t, err = e.enter(name, sliceName, t); err != nil {
			return err
		}
	}
	if len(segments) > 1 {
		c.cardinality(e, at)
	}
	c.types(e, at)
	c.binding(e, at)
	c.slicing(e, at)
	for m := range c.d.Children(at) {
		switch key := string(c.d.Key(m)); {
		case strings.HasPrefix(key, "fixed"):
			e.fixed = &sample{c.d, m}
		case strings.HasPrefix(key, "pattern"):
			e.pattern = &sample{c.d, m}
		}
	}
	return c.constraint(e, at, p.typ)
}

// enter gives the child element of the name, or its slice, made if need be.
// t is the type of e, nil where it is a choice.
func (e *element) enter(name, sliceName string, t *schema.Type) (*element, *schema.Type, error) {
	name = strings.TrimSuffix(name, "[x]")
	var only string // valueQuantity stands for value[x] of one type
	var typ *schema.Type
	if t != nil {
		f := t.Fields[name]
		if !slices.ContainsFunc(t.Groups, func(g schema.Group) bool { return g.Name == name }) {
			if f == nil {
				return nil, nil, fmt.Errorf("%s has no element %s", t.Name, name)
			}
			name, only = f.Element, f.Name
		}
		if f != nil {
			typ = f.Type
		}
	}
	i := slices.IndexFunc(e.children, func(c *element) bool { return c.name == name })
	if i < 0 {
		i = len(e.children)
		e.children = append(e.children, &element{name: name, max: -1})
	}
	child := e.children[i]
	if only != "" && sliceName == "" {
		child.fields = map[string]bool{only: true}
	}
	if sliceName == "" {
		return child, typ, nil
	}
	for _, s := range child.slices {
		if s.label == sliceName {
			return &s.element, typ, nil
		}
	}
	s := &slice{label: sliceName, element: element{name: name, max: -1}}
	child.slices = append(child.slices, s)
	return &s.element, typ, nil
}

func (c *profileCompiler) cardinality(e *element, at uint32) {
	if n, err := strconv.Atoi(string(c.raw(at, "min"))); err == nil {
		e.min = n
	}
	if n, err := strconv.Atoi(c.d.ChildText(at, "max")); err == nil {
		e.max = n
	}
}

func (c *profileCompiler) raw(at uint32, name string) []byte {
	if m := c.d.Child(at, name); m != 0 {
		return c.d.Raw(m)
	}
	return nil
}

// types reads the permitted types: of a choice, of a reference's targets, and
// the profiles on them.
func (c *profileCompiler) types(e *element, at uint32) {
	list := c.d.Child(at, "type")
	if list == 0 {
		return
	}
	fields := map[string]bool{}
	for t := range c.d.Children(list) {
		code := c.d.ChildText(t, "code")
		if code == "" {
			continue
		}
		fields[e.name+strings.ToUpper(code[:1])+code[1:]] = true
		e.profiles = append(e.profiles, c.texts(t, "profile")...)
		for _, target := range c.texts(t, "targetProfile") {
			typ := target[strings.LastIndexByte(target, '/')+1:]
			if _, ok := c.schema.Resources[typ]; !ok {
				e.targets = nil // a profile on the target, or any resource
				break
			}
			e.targets = append(e.targets, typ)
		}
	}
	e.fields = fields
}

func (c *profileCompiler) texts(at uint32, name string) (texts []string) {
	if list := c.d.Child(at, name); list != 0 {
		for t := range c.d.Children(list) {
			texts = append(texts, c.d.Text(t))
		}
	}
	return texts
}

func (c *profileCompiler) binding(e *element, at uint32) {
	b := c.d.Child(at, "binding")
	if b == 0 || c.d.ChildText(b, "strength") != "required" {
		return
	}
	url, _, _ := strings.Cut(c.d.ChildText(b, "valueSet"), "|")
	e.codes = c.valueSets[url]
}

func (c *profileCompiler) slicing(e *element, at uint32) {
	s := c.d.Child(at, "slicing")
	if s == 0 {
		return
	}
	e.closed = c.d.ChildText(s, "rules") == "closed"
	if list := c.d.Child(s, "discriminator"); list != 0 {
		for x := range c.d.Children(list) {
			e.discriminators = append(e.discriminators, discriminator{c.d.ChildText(x, "type"), c.d.ChildText(x, "path")})
		}
	}
}

// constraint compiles the FHIRPath rules: on an element as element.all(rule),
// evaluated on an object that holds the element alone; on the root as it is.
func (c *profileCompiler) constraint(e *element, at uint32, t *schema.Type) error {
	list := c.d.Child(at, "constraint")
	if list == 0 {
		return nil
	}
	for k := range c.d.Children(list) {
		rule := c.d.ChildText(k, "expression")
		if strings.Contains(rule, "trace(") {
			return fmt.Errorf("constraint %s: trace() would print what a resource holds", c.d.ChildText(k, "key"))
		}
		alone := strings.Contains(strings.ToLower(rule), "matches")
		if e.name != "" {
			rule = e.name + ".all(" + rule + ")"
		}
		expr, err := fhirpath.Compile(rule)
		if err != nil {
			return fmt.Errorf("constraint %s: %w", c.d.ChildText(k, "key"), err)
		}
		severity := fhir.ErrorLevel
		if c.d.ChildText(k, "severity") == "warning" {
			severity = fhir.Warning
		}
		e.constraints = append(e.constraints, constraint{c.d.ChildText(k, "key"), c.d.ChildText(k, "human"), severity, expr, alone})
	}
	return nil
}
