// Package score weighs the evidence that two records are one person, after
// Fellegi and Sunter (1969): each field's agreement level adds log2(m/u), where
// m is how often true pairs show the level and u how often strangers do. The
// weights are data (a versioned model), rare names weigh more than common
// ones, and every sum can be explained in words. It is pure.
package score

// Field is one thing compared.
type Field uint8

// The fields, in the order in which they are explained.
const (
	Citizen Field = iota // GB 11643 number
	Cards                // other identifiers
	Family               // family name
	Given                // given name
	Birth                // birth date
	Sex
	Phone
	Line  // street, number
	Place // district, city, postcode
	Fields
)

// Fields of files only (CompareFile); the index leaves them silent.
const (
	Street     Field = iota + Fields // address line without its number
	Number                           // house number
	City                             // city and district
	Post                             // postcode
	State                            //
	BirthPlace                       //
	Occupation                       //
	AllFields
)

var fieldNames = [AllFields]string{"citizenId", "cards", "family", "given", "birthDate", "gender", "phone", "addressLine", "addressPlace",
	"street", "houseNumber", "city", "postalCode", "state", "birthPlace", "occupation"}

// String is the field's name in models and APIs.
func (f Field) String() string { return fieldNames[f] }

// Level is how far two values of a field agree. 0 means that one side is
// silent: no evidence either way.
type Level uint8

// Silent is the level of every field for which a side says nothing.
const Silent Level = 0

// Levels of Family and Given.
const (
	NameExact     Level = iota + 1 // same characters
	NameSound                      // same sound: 伟/炜, or 张伟/Zhang Wei
	NameFuzzy                      // often confused sounds: zh/z, n/l, -ng/-n
	NameTypo                       // one character or letter apart
	NameClose                      // alike: Jaro-Winkler 0.85 and more, or an initial
	NameSwapped                    // family and given name exchanged
	NameDifferent                  // neither
	NameRemote                     // files only: faintly alike, Jaro-Winkler 0.75 and more
	NameLook                       // one character apart, and the two look alike: 己, 已
	NameKin                        // one han character another, unlike in sound and look: how siblings are named
)

// Levels of Birth.
const (
	BirthExact     Level = iota + 1
	BirthSwapped         // day and month exchanged
	BirthSlip            // one digit apart or two neighbours exchanged
	BirthPartial         // as far as the less precise one goes, or year alike and 1 January
	BirthYear            // same year
	BirthDifferent       //
	BirthNear            // files only: two of year, month and day agree, or six of eight digits
	BirthLunar           // one is the other's day in the Chinese calendar
)

// Levels of Citizen.
const (
	CitizenEqual     Level = iota + 1 // equal and valid
	CitizenRepaired                   // one slip apart, one of them invalid
	CitizenInvalid                    // equal, but not valid
	CitizenDifferent                  // different
	CitizenOther                      // files only: different, and both valid: two people
)

// Levels of Cards.
const (
	CardsSeveral   Level = iota + 1 // two or more different numbers equal
	CardsOne                        // one equal
	CardsSlip                       // one number one slip apart
	CardsDifferent                  // same system, different numbers
)

// Levels of Sex and Phone.
const (
	Same      Level = iota + 1
	Near            // phone: one digit apart
	Different       //
)

// Levels of Line and Place.
const (
	PlaceExact     Level = iota + 1
	PlaceClose           // alike: most of the text, or the same district or postcode
	PlaceRegion          // same city or state
	PlaceDifferent       //
)

// Levels of the fields of files.
const (
	TextExact     Level = iota + 1
	TextSlip            // one slip apart
	TextClose           // most of the text agrees
	TextAlike           // half of it agrees, or the beginning of the postcode
	TextDifferent       //
)

var textLevels = []string{"silent", "exact", "slip", "close", "alike", "different"}

var levelNames = [AllFields][]string{
	Citizen: {"silent", "equal", "repaired", "invalid-equal", "different", "two-valid"},
	Cards:   {"silent", "several", "one", "slip", "different"},
	Family:  {"silent", "exact", "sound", "fuzzy", "typo", "close", "swapped", "different", "remote", "lookalike", "kin"},
	Given:   {"silent", "exact", "sound", "fuzzy", "typo", "close", "swapped", "different", "remote", "lookalike", "kin"},
	Birth:   {"silent", "exact", "swapped", "slip", "partial", "year", "different", "near", "lunar"},
	Sex:     {"silent", "same", "near", "different"},
	Phone:   {"silent", "same", "near", "different"},
	Line:    {"silent", "exact", "close", "region", "different"},
	Place:   {"silent", "exact", "close", "region", "different"},
	Street:  textLevels, Number: textLevels, City: textLevels, Post: textLevels, State: textLevels, BirthPlace: textLevels, Occupation: textLevels,
}

// Levels is how many levels f has, Silent included.
func (f Field) Levels() int { return len(levelNames[f]) }

// LevelName is the level's name in models and APIs.
func (f Field) LevelName(l Level) string { return levelNames[f][l] }

// Vector is the outcome of a comparison: one level a field.
type Vector [AllFields]Level
