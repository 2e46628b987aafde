"""OpenAI JSON into requests, results into chunks and errors. Pure."""
