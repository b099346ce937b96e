package main

import (
	"encoding/json"
	"fmt"
	"time"

	"hutong/testdata/region"
)

// guest is the second patient of the demonstration: the resident's husband,
// known to the township clinic and the county hospital, and not to the
// municipal hospital whose specialist is asked about him.
type guest struct {
	Patient   string   // "Patient/..." at the clinic
	Documents []string // a report of the clinic and one of its results
	Outside   string   // another report, that is not shown to the specialist
	Encounter []byte   // his visit of today, as the clinic's HIS posts it
}

// findGuest reads the second person's records off the bundles that the
// clinic posts.
func findGuest(opt region.Options) (guest, error) {
	opt.People = 2
	var g guest
	for post := range region.Generate(opt) {
		if post.Person != 1 || post.Org != region.OrgClinic {
			continue
		}
		var b struct {
			Entry []struct {
				FullURL  string
				Resource struct {
					ResourceType, ID string
					Result           []struct{ Reference string }
				}
			}
		}
		if err := json.Unmarshal(post.Bundle, &b); err != nil {
			return g, err
		}
		place := map[string]string{}
		for _, e := range b.Entry {
			place[e.FullURL] = e.Resource.ResourceType + "/" + e.Resource.ID
		}
		for _, e := range b.Entry {
			at := place[e.FullURL]
			switch e.Resource.ResourceType {
			case "Patient":
				g.Patient = at
			case "DiagnosticReport":
				if len(g.Documents) > 0 {
					g.Outside = at
				} else if len(e.Resource.Result) > 0 {
					g.Documents = []string{at, place[e.Resource.Result[0].Reference]}
				}
			}
		}
	}
	if g.Patient == "" || g.Outside == "" {
		return g, fmt.Errorf("the region's second person has too few records at %s", region.OrgClinic)
	}
	g.Encounter = fmt.Appendf(nil, `{"resourceType":"Encounter","id":"clinic-visit-today","status":"in-progress",`+
		`"class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"subject":{"reference":%q},`+
		`"period":{"start":%q},"serviceProvider":{"reference":"Organization/org-clinic"}}`, g.Patient, opt.Now.Format(time.RFC3339))
	return g, nil
}
