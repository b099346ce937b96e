package profiles

// LabSystem is the code system of an organisation's own laboratory items.
func LabSystem(uscc string) string { return "https://hutong.example/sid/" + uscc + "/lab-item" }

// Code systems that Hutong defines.
const (
	HRItem        = Canonical + "/CodeSystem/hr-item"           // items of recognition
	HRDecline     = Canonical + "/CodeSystem/hr-decline-reason" // why a result is not adopted
	HRTask        = Canonical + "/CodeSystem/hr-task"           // codes of decision Tasks
	HRClause      = Canonical + "/CodeSystem/hr-clause"         // clauses of eligibility
	IdentityDoc   = Canonical + "/CodeSystem/cv02.01.101"       // 身份证件类别
	HospitalLevel = Canonical + "/CodeSystem/hospital-level"    // 医院等级
	DataLevel     = Canonical + "/CodeSystem/data-level"        // GB/T 39725 数据级别
	Area          = Canonical + "/CodeSystem/gbt2260"           // GB/T 2260 行政区划
)

// National code systems that have an OID.
const (
	Sex          = "urn:oid:2.16.156.10011.2.3.3.4"  // GB/T 2261.1
	Marital      = "urn:oid:2.16.156.10011.2.3.3.5"  // GB/T 2261.2
	Ethnicity    = "urn:oid:2.16.156.10011.2.3.3.3"  // GB/T 3304
	Relationship = "urn:oid:2.16.156.10011.2.3.3.8"  // GB/T 4761
	Employment   = "urn:oid:2.16.156.10011.2.3.3.13" // GB/T 2261.4
	DocumentType = "urn:oid:2.16.156.10011.2.4"      // WS/T 500
)

// International code systems.
const (
	LOINC    = "http://loinc.org"
	UCUM     = "http://unitsofmeasure.org"
	ICD10    = "http://hl7.org/fhir/sid/icd-10"
	ATC      = "http://www.whocc.no/atc"
	Specimen = "http://terminology.hl7.org/CodeSystem/v2-0487"
)

// Profiles and extensions.
const (
	PatientProfile = Canonical + "/StructureDefinition/hutong-patient"
	LabObservation = Canonical + "/StructureDefinition/hutong-lab-observation"
	LabReport      = Canonical + "/StructureDefinition/hutong-lab-report"
	PatientEthnic  = Canonical + "/StructureDefinition/patient-ethnicity"
	HRMark         = Canonical + "/StructureDefinition/hr-mark"
	EQAOutcome     = Canonical + "/StructureDefinition/eqa-outcome"
	// OrgQualification is the R5 element Organization.qualification as an
	// extension of R4: sub-extensions identifier, code, period, issuer. One a
	// round of external quality assessment and item, with EQAOutcome inside.
	OrgQualification = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Organization.qualification"
)
