"""What is computed from the data: Black-Scholes prices, implied volatilities and greeks of our own."""
