package storetest

func oracleSuite(b *bench) {}
