"""How the emulated Terminal speaks v2: tenths of a cent, milliseconds of the day, pages."""
