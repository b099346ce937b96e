// Package profiles embeds the definitions that Hutong works by: R4 core, the
// regional profiles and extensions, and the national code systems with their
// periods of validity. It knows no other room.
package profiles

// Canonical is the base of every URI that Hutong itself defines.
const Canonical = "https://hutong.example/fhir"

// Identifier systems. OIDs are those of WS 363 / WS/T 500 practice; where no
// OID is published Hutong defines its own.
const (
	CitizenID     = "urn:oid:2.16.156.10011.1.3"                // 居民身份证号 (GB 11643)
	HealthRecord  = "urn:oid:2.16.156.10011.1.2"                // 城乡居民健康档案编号, 17 digits
	HealthCard    = "urn:oid:2.16.156.10011.1.19"               // 居民健康卡号
	Practitioner  = "urn:oid:2.16.156.10011.1.4"                // 医师标识
	SocialCard    = "https://hutong.example/sid/social-card"    // 社会保障卡卡号, 9 characters
	InsuranceNo   = "https://hutong.example/sid/insurance-no"   // 医保个人编号
	USCC          = "https://hutong.example/sid/uscc"           // 统一社会信用代码 (GB 32100) of an organisation
	NewbornTemp   = "https://hutong.example/sid/newborn-temp"   // temporary id of a newborn
	EmergencyTemp = "https://hutong.example/sid/emergency-temp" // 无名氏
	PersonID      = "https://hutong.example/sid/person"         // the MPI's person id
)

// MRN is the identifier system of an organisation's own record numbers
// (病案号); uscc is the organisation's 18-character code.
func MRN(uscc string) string { return "https://hutong.example/sid/" + uscc + "/mrn" }

// Tags and labels that the server sets in meta.
const (
	CustodianTag = "https://hutong.example/fhir/CodeSystem/custodian" // code = Organization id of the owner
	HRScopeTag   = "https://hutong.example/fhir/CodeSystem/hr-scope"  // verified recognition scope
)

// The Task.code of a remote consultation. The workflow reads its state back
// from such a Task, so the exchange alone writes them.
const (
	ConsultationItem = Canonical + "/CodeSystem/consultation-item"
	ConsultationTask = "remote-consultation"
)
