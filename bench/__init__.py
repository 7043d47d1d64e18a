"""What measures spxdata: costs, sizes, growth and answers, each against a baseline of the same run."""
