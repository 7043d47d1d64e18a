"""How the emulated Terminal speaks v3: dollars, ISO times, quoted strings, one chunked stream."""
