package codec

// isLinkName reports whether strings of the name are links that a transaction
// resolves: Reference.reference and the elements of the types uri, url,
// canonical, oid and uuid (R4 http.html#trules). Left out are names that are
// uris but never links (code, fullUrl, identifier, system, type). A test
// compares the list with the definitions.
func isLinkName(key []byte) bool {
	switch string(key) {
	case "reference", "url", "uri",
		"valueCanonical", "valueOid", "valueUri", "valueUrl", "valueUuid",
		"defaultValueCanonical", "defaultValueOid", "defaultValueUri", "defaultValueUrl", "defaultValueUuid",
		"fixedCanonical", "fixedOid", "fixedUri", "fixedUrl", "fixedUuid",
		"patternCanonical", "patternOid", "patternUri", "patternUrl", "patternUuid",
		"definitionCanonical", "definitionUri", "derivedFromUri", "eventUri", "exampleCanonical",
		"instantiatesCanonical", "instantiatesUri", "moduleCanonical", "moduleUri", "nameUrl",
		"sourceCanonical", "sourceUri", "targetCanonical", "targetUri",
		"address", "answerValueSet", "authority", "authorizationUrl", "base", "baseDefinition", "capabilities",
		"compartment", "contentReference", "definition", "derivedFrom", "detail", "endpoint", "graph",
		"implementationGuide", "implicitRules", "import", "imports", "inputProfile", "instantiates", "issuer",
		"jurisdiction", "library", "link", "location", "measure", "message", "onlineInformation",
		"outputProfile", "parent", "partOf", "policy", "profile", "property", "protocol", "questionnaire",
		"relativePath", "rendering", "replaces", "resource", "source", "supplements", "supportedProfile",
		"target", "targetProfile", "transform", "valueSet", "workflow":
		return true
	}
	return false
}
