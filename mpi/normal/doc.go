// Package normal turns what hospitals write about a person into forms that
// can be compared: names (han, pinyin, swapped, dotted), identity numbers (GB
// 11643, GB 32100, cards), dates, phones and addresses. It is pure: no I/O, no
// state, no clock. The sender's own text is never changed by it; these forms
// serve as keys only.
package normal
