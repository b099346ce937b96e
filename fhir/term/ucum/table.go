package ucum

// prefixes of metric units, as powers of ten.
var prefixes = map[string]int{
	"Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
	"d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}

// atom is one unit symbol. Its meaning is value times unit; a base or an
// arbitrary unit has neither and is a dimension of its own.
type atom struct {
	value  string // decimal
	unit   string // UCUM expression
	metric bool   // takes prefixes
	// offset is added to a value in this unit before the factor applies: the
	// temperature scales. Such a unit stands alone, without prefix or exponent.
	offset string
}

// atoms are the symbols that this package knows: the base units, SI, and what
// laboratories, wards and pharmacies use. Definitions are UCUM's (Regenstrief
// Institute, version 2.0.1); a test holds each against the published table.
var atoms = map[string]atom{
	"m": {metric: true}, "s": {metric: true}, "g": {metric: true}, "rad": {metric: true}, "K": {metric: true}, "C": {metric: true}, "cd": {metric: true},
	"10*": {value: "10", unit: "1"}, "10^": {value: "10", unit: "1"},
	"[pi]": {value: "3.1415926535897932384626433832795028841971693993751058209749445923", unit: "1"},
	"%":    {value: "1", unit: "10*-2"}, "[ppth]": {value: "1", unit: "10*-3"}, "[ppm]": {value: "1", unit: "10*-6"},
	"[ppb]": {value: "1", unit: "10*-9"}, "[pptr]": {value: "1", unit: "10*-12"},

	"mol": {value: "6.0221367", unit: "10*23", metric: true}, "sr": {value: "1", unit: "rad2", metric: true},
	"Hz": {value: "1", unit: "s-1", metric: true}, "N": {value: "1", unit: "kg.m/s2", metric: true},
	"Pa": {value: "1", unit: "N/m2", metric: true}, "J": {value: "1", unit: "N.m", metric: true}, "W": {value: "1", unit: "J/s", metric: true},
	"A": {value: "1", unit: "C/s", metric: true}, "V": {value: "1", unit: "J/C", metric: true}, "F": {value: "1", unit: "C/V", metric: true},
	"Ohm": {value: "1", unit: "V/A", metric: true}, "S": {value: "1", unit: "Ohm-1", metric: true}, "Wb": {value: "1", unit: "V.s", metric: true},
	"T": {value: "1", unit: "Wb/m2", metric: true}, "H": {value: "1", unit: "Wb/A", metric: true}, "lm": {value: "1", unit: "cd.sr", metric: true},
	"lx": {value: "1", unit: "lm/m2", metric: true}, "Bq": {value: "1", unit: "s-1", metric: true}, "Gy": {value: "1", unit: "J/kg", metric: true},
	"Sv": {value: "1", unit: "J/kg", metric: true}, "Ci": {value: "37e9", unit: "Bq", metric: true},

	"deg": {value: "2", unit: "[pi].rad/360"}, "l": {value: "1", unit: "dm3", metric: true}, "L": {value: "1", unit: "l", metric: true},
	"min": {value: "60", unit: "s"}, "h": {value: "60", unit: "min"}, "d": {value: "24", unit: "h"}, "wk": {value: "7", unit: "d"},
	"a_j": {value: "365.25", unit: "d"}, "a": {value: "1", unit: "a_j"}, "mo_j": {value: "1", unit: "a_j/12"}, "mo": {value: "1", unit: "mo_j"},
	"t": {value: "1e3", unit: "kg", metric: true}, "bar": {value: "1e5", unit: "Pa", metric: true}, "atm": {value: "101325", unit: "Pa"},
	"u": {value: "1.6605402e-24", unit: "g", metric: true}, "[g]": {value: "980665e-5", unit: "m/s2", metric: true},
	"dyn": {value: "1", unit: "g.cm/s2", metric: true}, "erg": {value: "1", unit: "dyn.cm", metric: true}, "P": {value: "1", unit: "dyn.s/cm2", metric: true},
	"Cel":    {value: "1", unit: "K", metric: true, offset: "273.15"},
	"[degF]": {value: "5", unit: "K/9", offset: "459.67"},

	"[in_i]": {value: "254e-2", unit: "cm"}, "[ft_i]": {value: "12", unit: "[in_i]"}, "[yd_i]": {value: "3", unit: "[ft_i]"}, "[mi_i]": {value: "5280", unit: "[ft_i]"},
	"[gr]": {value: "64.79891", unit: "mg"}, "[lb_av]": {value: "7000", unit: "[gr]"}, "[oz_av]": {value: "1", unit: "[lb_av]/16"}, "[stone_av]": {value: "14", unit: "[lb_av]"},
	"[foz_us]": {value: "1", unit: "[gil_us]/4"}, "[gil_us]": {value: "1", unit: "[pt_us]/4"}, "[pt_us]": {value: "1", unit: "[qt_us]/2"},
	"[qt_us]": {value: "1", unit: "[gal_us]/4"}, "[gal_us]": {value: "231", unit: "[in_i]3"},
	"[tbs_m]": {value: "15", unit: "mL"}, "[tsp_m]": {value: "5", unit: "mL"}, "[drp]": {value: "1", unit: "ml/20"},

	"cal_th": {value: "4.184", unit: "J", metric: true}, "cal": {value: "1", unit: "cal_th", metric: true}, "[Cal]": {value: "1", unit: "kcal_th"},
	"m[H2O]": {value: "980665e-5", unit: "kPa", metric: true}, "m[Hg]": {value: "133.3220", unit: "kPa", metric: true},
	"[diop]": {value: "1", unit: "/m"}, "[Ch]": {value: "1", unit: "mm/3"}, "[MET]": {value: "3.5", unit: "mL/min/kg"},
	"eq": {value: "1", unit: "mol", metric: true}, "osm": {value: "1", unit: "mol", metric: true}, "g%": {value: "1", unit: "g/dl", metric: true},
	"kat": {value: "1", unit: "mol/s", metric: true}, "U": {value: "1", unit: "umol/min", metric: true},
	"[HPF]": {value: "1", unit: "1"}, "[LPF]": {value: "100", unit: "1"}, "[S]": {value: "1", unit: "10*-13.s"},

	// Arbitrary units: each is a dimension of its own, for what one assay calls
	// a unit is not what another does. [IU] is [iU] by another name.
	"[iU]": {metric: true}, "[IU]": {value: "1", unit: "[iU]", metric: true}, "[arb'U]": {}, "[USP'U]": {}, "[GPL'U]": {}, "[MPL'U]": {}, "[APL'U]": {},
	"[beth'U]": {}, "[anti'Xa'U]": {}, "[todd'U]": {}, "[CFU]": {}, "[PFU]": {}, "[AU]": {}, "[BAU]": {}, "[EU]": {}, "[ELU]": {}, "[FEU]": {}, "[D'ag'U]": {}, "[tb'U]": {},
	// A logarithmic scale converts to itself only.
	"[pH]": {},
}
