// Package capability generates the CapabilityStatement from the definitions in
// force, so that it cannot drift from what the server does.
package capability

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/definition"
)

// About describes the installation.
type About struct {
	Name, Version, Publisher string
	Date                     time.Time // of the release
	// SMART lists the OAuth URIs of the security section: "authorize", "token",
	// "introspect", "revoke", "register", "manage". Empty: no security section.
	SMART map[string]string
	// Operations are those that other rooms serve.
	Operations []Operation
	// Documentation says what is particular about a type here.
	Documentation map[fhir.Type]string
}

// Operation is an extended operation.
type Operation struct {
	Type       fhir.Type // "" is the system
	Name       string    // with its $
	Definition string    // canonical of the OperationDefinition
}

type (
	object map[string]any
	list   []any
)

// Statement writes the CapabilityStatement. Source: R4
// capabilitystatement.html, SMART App Launch 1.0 conformance.
func Statement(defs *definition.Set, about About, base string) ([]byte, error) {
	if about.Name == "" {
		about.Name = "Hutong"
	}
	if about.Date.IsZero() {
		about.Date = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	software := object{"name": about.Name}
	if about.Version != "" {
		software["version"] = about.Version
	}
	s := object{
		"resourceType": "CapabilityStatement", "status": "active", "kind": "instance",
		"date": about.Date.UTC().Format(time.RFC3339), "fhirVersion": "4.0.1",
		"format":         list{"application/fhir+json", "json"},
		"patchFormat":    list{"application/json-patch+json"},
		"software":       software,
		"implementation": object{"description": about.Name + " FHIR R4 repository", "url": base},
		"rest":           list{rest(defs, &about)},
	}
	if about.Publisher != "" {
		s["publisher"] = about.Publisher
	}
	return json.Marshal(s)
}

func rest(defs *definition.Set, about *About) object {
	r := object{
		"mode":        "server",
		"interaction": interactions("transaction", "batch", "search-system", "history-system"),
		"searchParam": params(defs, ""),
		"compartment": list{
			"http://hl7.org/fhir/CompartmentDefinition/patient",
			"http://hl7.org/fhir/CompartmentDefinition/encounter",
			"http://hl7.org/fhir/CompartmentDefinition/relatedPerson",
			"http://hl7.org/fhir/CompartmentDefinition/practitioner",
			"http://hl7.org/fhir/CompartmentDefinition/device",
		},
	}
	revincludes := reverse(defs)
	var resources list
	for _, t := range defs.Types() {
		resources = append(resources, resource(defs, t, revincludes[t], about))
	}
	r["resource"] = resources
	if ops := operations(about, ""); ops != nil {
		r["operation"] = ops
	}
	if len(about.SMART) > 0 {
		r["security"] = security(about.SMART)
	}
	return r
}

func resource(defs *definition.Set, t fhir.Type, revincludes []string, about *About) object {
	r := object{
		"type":        t,
		"profile":     "http://hl7.org/fhir/StructureDefinition/" + string(t),
		"interaction": interactions("read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"),
		"versioning":  "versioned-update", "readHistory": true, "updateCreate": true,
		"conditionalCreate": true, "conditionalRead": "full-support", "conditionalUpdate": true, "conditionalDelete": "single",
		"referencePolicy": list{"literal", "logical", "local"},
		"searchParam":     params(defs, t),
	}
	if includes := forward(defs, t); len(includes) > 0 {
		r["searchInclude"] = includes
	}
	if len(revincludes) > 0 {
		r["searchRevInclude"] = revincludes
	}
	if ops := operations(about, t); ops != nil {
		r["operation"] = ops
	}
	if text := about.Documentation[t]; text != "" {
		r["documentation"] = text
	}
	return r
}

func interactions(codes ...string) list {
	var l list
	for _, c := range codes {
		l = append(l, object{"code": c})
	}
	return l
}

// params lists the search parameters of t, "" for those of every type.
func params(defs *definition.Set, t fhir.Type) list {
	var l list
	for _, p := range defs.Params(t) {
		l = append(l, object{"name": p.Code, "type": typeName(p.Type), "definition": p.URL})
	}
	return l
}

func typeName(t definition.ParamType) string {
	names := [...]string{
		definition.Number: "number", definition.Date: "date", definition.String: "string",
		definition.Token: "token", definition.Reference: "reference", definition.Composite: "composite",
		definition.Quantity: "quantity", definition.URI: "uri", definition.Special: "special",
	}
	if int(t) < len(names) && names[t] != "" {
		return names[t]
	}
	return "special"
}

// forward lists the _includes of t: T:param.
func forward(defs *definition.Set, t fhir.Type) []string {
	var l []string
	for _, p := range defs.Params(t) {
		if p.Type == definition.Reference {
			l = append(l, string(t)+":"+p.Code)
		}
	}
	if len(l) > 0 {
		l = append([]string{string(t) + ":*"}, l...)
	}
	return l
}

// reverse lists the _revincludes of every type.
func reverse(defs *definition.Set) map[fhir.Type][]string {
	m := make(map[fhir.Type][]string)
	for _, source := range defs.Types() {
		for _, p := range defs.Params(source) {
			if p.Type != definition.Reference {
				continue
			}
			for _, target := range p.Targets {
				m[target] = append(m[target], string(source)+":"+p.Code)
			}
		}
	}
	return m
}

func operations(about *About, t fhir.Type) list {
	var l list
	for _, o := range about.Operations {
		if o.Type == t && o.Definition != "" {
			l = append(l, object{"name": strings.TrimPrefix(o.Name, "$"), "definition": o.Definition})
		}
	}
	return l
}

func security(uris map[string]string) object {
	var parts list
	for _, name := range slices.Sorted(maps.Keys(uris)) {
		parts = append(parts, object{"url": name, "valueUri": uris[name]})
	}
	return object{
		"cors": true,
		"service": list{object{"coding": list{object{
			"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR",
		}}}},
		"extension": list{object{
			"url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris", "extension": parts,
		}},
	}
}
