"""Shape and wording of what people enter about works and their windows. The rules are the services'."""
