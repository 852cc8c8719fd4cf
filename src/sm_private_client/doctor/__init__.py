"""Doctor: facts are gathered once, findings are pure functions of facts, a report orders them."""
