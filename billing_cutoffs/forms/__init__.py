"""Shape and wording of what people enter about debts and cut-offs. The rules are the services'."""
