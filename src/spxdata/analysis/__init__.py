"""Reading an archive the way researchers ask: rows, chains, smiles, surfaces, SQL; and greeks of our own."""
