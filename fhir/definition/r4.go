package definition

// R4 builds the Set of FHIR R4 (4.0.1). Build it once and pass it down.
func R4() *Set { return &Set{} }
