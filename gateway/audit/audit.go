// Package audit keeps the record of who saw or did what: FHIR AuditEvents in a
// hash chain, durable before the answer that they tell of leaves.
package audit
