"""What is known of one debtor: the account, what was said with its proof, what comes next, the evidence of it all."""
