"""How requests leave this process. Nothing here knows of Prefect or of a database."""
