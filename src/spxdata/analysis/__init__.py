"""Reading an archive the way researchers ask: rows, chains, smiles, surfaces, contracts, SQL."""
