package normal

import (
	"strings"
	"time"

	"hutong/profiles"
)

// Kind sorts identifiers by what they prove.
type Kind uint8

// The kinds.
const (
	OtherID      Kind = iota // unknown system: resolves, proves little
	Citizen                  // GB 11643
	HealthRecord             // 17 digits: changes on re-filing, never joins alone
	HealthCard               // 居民健康卡
	SocialCard               // 社会保障卡
	Insurance                // 医保个人编号
	Passport                 // PPN
	MRN                      // one organisation's record number
	National                 // another national number (type NI, SS, DL ...)
	NewbornTemp
	EmergencyTemp
	Visit // visit, inpatient, document numbers: name an event, not a person
)

var kindNames = [...]string{"other", "citizen", "health-record", "health-card", "social-card", "insurance", "passport", "mrn", "national", "newborn-temp", "emergency-temp", "visit"}

// String is the kind's name as it stands in explanations.
func (k Kind) String() string { return kindNames[k] }

// Strong reports whether equality of such an identifier is evidence of
// identity that two records need to be joined without a human.
func (k Kind) Strong() bool {
	switch k {
	case Citizen, HealthCard, SocialCard, Insurance, Passport, MRN, National, NewbornTemp:
		return true
	}
	return false
}

// Identifier is one number that a record carries.
type Identifier struct {
	System string // qualified by its owner where the system is shared by hospitals
	Value  string // canonical (Code); 18 characters for a citizen id
	Kind   Kind
	Valid  bool   // passes its own checks, as far as the kind has any
	Ended  bool   // use=old or its period is over
	Why    string // Problem of an invalid number
}

// Token is the identifier as one comparable string.
func (i *Identifier) Token() string { return i.System + "|" + i.Value }

// Facts about a citizen id that the record's own fields must agree with.
func (i *Identifier) citizen(now time.Time) (CitizenID, bool) {
	if i.Kind != Citizen || !i.Valid {
		return CitizenID{}, false
	}
	id, p := ParseCitizenID(i.Value, now)
	return id, p == NoProblem
}

// RawIdentifier is an identifier as a FHIR Patient states it.
type RawIdentifier struct {
	System, Value, Use string
	TypeCode           string // v2-0203
	Assigner           string // id or name of the assigning organisation
	Ended              bool   // period.end is past
}

// sharedSystems are systems that every hospital numbers for itself: their
// values mean nothing without the owner (ID-05).
func sharedSystem(system string) bool {
	switch strings.TrimPrefix(system, "urn:oid:2.16.156.10011.1.") {
	case "11", "12", "13", "8", "14", "20", "24", "32", "33", "34":
		return true
	}
	return system == ""
}

// NewIdentifier brings an identifier into comparison form; ok is false for a
// value that says nothing (无, 000000). owner is the custodian of the record.
func NewIdentifier(raw RawIdentifier, owner string, now time.Time) (id Identifier, ok bool) {
	id = Identifier{System: raw.System, Value: Code(raw.Value), Valid: true, Ended: raw.Ended || raw.Use == "old"}
	if id.Value == "" || Junk(id.Value) {
		return id, false
	}
	id.Kind = kindOfSystem(raw)
	if sharedSystem(raw.System) {
		if raw.Assigner != "" {
			owner = raw.Assigner
		}
		id.System += "@" + owner
	}
	id.check(now)
	return id, true
}

func (i *Identifier) check(now time.Time) {
	switch i.Kind {
	case Citizen:
		c, p := ParseCitizenID(i.Value, now)
		i.Value, i.Valid, i.Why = c.Value, p == NoProblem, string(p)
	case HealthRecord:
		_, i.Valid = ParseHealthRecordNo(i.Value)
	case HealthCard:
		// Usually the citizen id: bring first-generation numbers to the same form.
		if up, p := Upgrade15(i.Value); p == NoProblem {
			i.Value = up
		}
	}
}

func kindOfSystem(raw RawIdentifier) Kind {
	switch raw.System {
	case profiles.CitizenID:
		return Citizen
	case profiles.HealthRecord:
		return HealthRecord
	case profiles.HealthCard:
		return HealthCard
	case profiles.SocialCard:
		return SocialCard
	case profiles.InsuranceNo:
		return Insurance
	case profiles.NewbornTemp:
		return NewbornTemp
	case profiles.EmergencyTemp:
		return EmergencyTemp
	}
	if strings.HasPrefix(raw.System, profiles.MRN("")[:len(profiles.MRN(""))-len("/mrn")]) && strings.HasSuffix(raw.System, "/mrn") {
		return MRN
	}
	return kindOfType(raw)
}

// kindOfType falls back on the v2-0203 type for systems that are not ours.
func kindOfType(raw RawIdentifier) Kind {
	if sharedSystem(raw.System) {
		if strings.HasSuffix(raw.System, ".13") || raw.System == "" && raw.TypeCode == "MR" {
			return MRN
		}
		return Visit
	}
	switch raw.TypeCode {
	case "PPN":
		return Passport
	case "NI", "SS", "DL", "SB", "PRC", "HC", "JHN", "NH":
		return National
	case "MR", "PI":
		return MRN
	case "VN", "AN":
		return Visit
	}
	return OtherID
}

// Lookup gives the canonical value under which an identifier of this system
// is found: the citizen id upgraded to 18 characters, the rest upper-cased.
func Lookup(system, value string, now time.Time) string {
	id, _ := NewIdentifier(RawIdentifier{System: system, Value: value}, "", now)
	return id.Value
}
