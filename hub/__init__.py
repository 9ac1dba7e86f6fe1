"""What holds the exchange hub together: settings, errors, database, flows, command line."""
