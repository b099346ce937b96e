package profiles

import (
	"encoding/json"
	"fmt"
)

// Reason is one coded reason not to adopt a result (不予互认原因).
type Reason struct {
	Code         string // "rapid-progression"
	Display      string // 中文
	DisplayEN    string
	Set          string // "national", "provincial" or "system": only the exchange itself gives the last
	SourceCode   string // in the list it comes from: "2"
	Counts       bool   // as a refusal in the rate of recognition
	TextRequired bool
}

// DeclineReasons lists the CodeSystem hr-decline-reason in its order.
func DeclineReasons() ([]Reason, error) {
	var cs codeSystem
	if err := json.Unmarshal(File("CodeSystem", "hr-decline-reason"), &cs); err != nil {
		return nil, fmt.Errorf("profiles: hr-decline-reason: %w", err)
	}
	out := make([]Reason, len(cs.Concept))
	for i, c := range cs.Concept {
		r := Reason{Code: c.Code, Display: c.Display, DisplayEN: c.english()}
		for _, p := range c.Property {
			switch p.Code {
			case "set":
				r.Set = p.ValueCode
			case "sourceCode":
				r.SourceCode = p.ValueString
			case "counts":
				r.Counts = p.ValueBoolean
			case "textRequired":
				r.TextRequired = p.ValueBoolean
			}
		}
		out[i] = r
	}
	return out, nil
}
