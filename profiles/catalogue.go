package profiles

import (
	"encoding/json"
	"fmt"
	"time"
)

// Item is one concept of the hr-item catalogue: a test whose result may be
// recognised across institutions (检查检验结果互认).
type Item struct {
	Code      string        // hr-item code: "K"
	Name      string        // 钾
	NameEN    string        // Potassium
	Category  string        // "chemistry", "immunology", "haematology", "imaging"
	Specimen  string        // HL7 v2 table 0487: "SER", "BLD"; "" for imaging
	Modality  string        // DICOM modality of imaging: "CT"
	LOINC     string        // the item's own LOINC code
	UCUM      string        // catalogue unit; "" for a qualitative item
	Window    time.Duration // how long a result stays valid; exactly Window after the start it still is
	StartFrom string        // where Window begins: "specimen", "exam" or "report"
	EQAScheme string        // external quality assessment scheme; "" for a panel
	Members   []string      // items of a panel
	Imaging   bool
	From, To  time.Time // in force [From,To); zero is open
}

// InForce reports whether the catalogue held the item at t.
func (i *Item) InForce(t time.Time) bool {
	return !t.Before(i.From) && (i.To.IsZero() || t.Before(i.To))
}

// Alliance is a named set of areas that recognise each other's results.
type Alliance struct {
	Code, Name string
	Areas      []string // GB/T 2260 codes
}

// Catalogue is the compiled hr-item catalogue with the maps that lead to it.
// Immutable; safe for concurrent use.
type Catalogue struct {
	items     []Item
	byCode    map[string]*Item
	byLOINC   map[string]*Item
	toLOINC   map[coding]string   // local code -> LOINC, equal or equivalent only
	local     map[[2]string]Local // system, item code -> the sender's code
	codings   map[string][][2]string
	alliances map[string]Alliance
}

type coding struct{ system, code string }

// Local is an item as one laboratory names it.
type Local struct{ System, Code, Display string }

// NewCatalogue compiles the embedded catalogue: the CodeSystems hr-item and
// hr-scope, the ConceptMaps lab-local-to-loinc and loinc-to-hr-item.
func NewCatalogue() (*Catalogue, error) {
	c := &Catalogue{
		byCode: map[string]*Item{}, byLOINC: map[string]*Item{},
		toLOINC: map[coding]string{}, local: map[[2]string]Local{},
		codings: map[string][][2]string{}, alliances: map[string]Alliance{},
	}
	for _, load := range []func() error{c.loadItems, c.loadLOINC, c.loadLocal, c.loadScopes} {
		if err := load(); err != nil {
			return nil, fmt.Errorf("profiles: compile catalogue: %w", err)
		}
	}
	return c, nil
}

// Items lists what is in force at t, in catalogue order.
func (c *Catalogue) Items(t time.Time) []Item {
	out := make([]Item, 0, len(c.items))
	for i := range c.items {
		if c.items[i].InForce(t) {
			out = append(out, c.items[i])
		}
	}
	return out
}

// Item finds an item by its hr-item code.
func (c *Catalogue) Item(code string) (Item, bool) { return deref(c.byCode[code]) }

// ByLOINC finds the item to which a LOINC code maps as equal or equivalent.
func (c *Catalogue) ByLOINC(code string) (Item, bool) { return deref(c.byLOINC[code]) }

// ByCoding finds the item of a coding: an hr-item code itself, LOINC, or a
// laboratory's local code through LOINC. Narrower, wider and inexact maps do
// not count: a glucometer reading is not the laboratory's glucose.
func (c *Catalogue) ByCoding(system, code string) (Item, bool) {
	switch system {
	case HRItem:
		return c.Item(code)
	case LOINC:
		return c.ByLOINC(code)
	}
	return c.ByLOINC(c.toLOINC[coding{system, code}])
}

// Local gives the code by which the laboratory system (LabSystem) names the
// item; ok is false if it does not perform it.
func (c *Catalogue) Local(system, item string) (Local, bool) {
	l, ok := c.local[[2]string{system, item}]
	return l, ok
}

// Alliance finds a recognition alliance by its hr-scope code.
func (c *Catalogue) Alliance(code string) (Alliance, bool) {
	a, ok := c.alliances[code]
	return a, ok
}

func deref(i *Item) (Item, bool) {
	if i == nil {
		return Item{}, false
	}
	return *i, true
}

func (c *Catalogue) loadItems() error {
	var cs codeSystem
	if err := json.Unmarshal(File("CodeSystem", "hr-item"), &cs); err != nil {
		return err
	}
	c.items = make([]Item, len(cs.Concept))
	for i, con := range cs.Concept {
		if err := con.item(&c.items[i]); err != nil {
			return err
		}
		c.byCode[con.Code] = &c.items[i]
		c.codings[con.Code] = [][2]string{{HRItem, con.Code}}
	}
	return nil
}

func (c *Catalogue) loadLOINC() error {
	return eachMapping("loinc-to-hr-item", func(_, _ string, e element, t target) error {
		item := c.byCode[t.Code]
		if item == nil {
			return fmt.Errorf("loinc-to-hr-item names no item: %s", t.Code)
		}
		c.byLOINC[e.Code] = item
		c.codings[t.Code] = append(c.codings[t.Code], [2]string{LOINC, e.Code})
		return nil
	})
}

func (c *Catalogue) loadLocal() error {
	return eachMapping("lab-local-to-loinc", func(source, _ string, e element, t target) error {
		c.toLOINC[coding{source, e.Code}] = t.Code
		if item := c.byLOINC[t.Code]; item != nil {
			c.local[[2]string{source, item.Code}] = Local{source, e.Code, e.Display}
			c.codings[item.Code] = append(c.codings[item.Code], [2]string{source, e.Code})
		}
		return nil
	})
}

func (c *Catalogue) loadScopes() error {
	var cs codeSystem
	if err := json.Unmarshal(File("CodeSystem", "hr-scope"), &cs); err != nil {
		return err
	}
	for _, con := range cs.Concept {
		a := Alliance{Code: con.Code, Name: con.Display}
		for _, p := range con.Property {
			if p.Code == "area" {
				a.Areas = append(a.Areas, p.ValueCode)
			}
		}
		if len(a.Areas) > 0 {
			c.alliances[a.Code] = a
		}
	}
	return nil
}

// Codings lists the system and code pairs by which a result may name the item:
// its hr-item code, every LOINC code and every local code that map to it.
func (c *Catalogue) Codings(item string) [][2]string { return c.codings[item] }
