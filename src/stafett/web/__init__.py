"""The API, the stations, the board and the pages."""
