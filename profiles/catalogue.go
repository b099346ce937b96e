package profiles

import "time"

// Item is one concept of the hr-item catalogue: a test whose result may be
// recognised across institutions (检查检验结果互认).
type Item struct {
	Code      string        // hr-item code: "K"
	Name      string        // 钾
	NameEN    string        // Potassium
	Category  string        // "chemistry", "immunology", "haematology", "imaging"
	Specimen  string        // HL7 v2 table 0487: "SER", "BLD"; "" for imaging
	LOINC     string        // the one LOINC code
	UCUM      string        // catalogue unit; "" for a qualitative item
	Window    time.Duration // how long a result stays valid
	StartFrom string        // "specimen" or "report": where Window begins
	EQAScheme string        // external quality assessment scheme
	Imaging   bool
	From, To  time.Time // in force [From,To); zero is open
}

// LabSystem is the code system of an organisation's own laboratory items.
func LabSystem(uscc string) string { return "https://hutong.example/sid/" + uscc + "/lab-item" }

// Code systems that Hutong defines.
const (
	HRItem           = Canonical + "/CodeSystem/hr-item"
	HRDecline        = Canonical + "/CodeSystem/hr-decline-reason"
	HRMark           = Canonical + "/StructureDefinition/hr-mark"
	EQAOutcome       = Canonical + "/StructureDefinition/eqa-outcome"
	OrgQualification = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Organization.qualification"
	PatientProfile   = Canonical + "/StructureDefinition/hutong-patient"
	LabObservation   = Canonical + "/StructureDefinition/hutong-lab-observation"
	LabReport        = Canonical + "/StructureDefinition/hutong-lab-report"
)
