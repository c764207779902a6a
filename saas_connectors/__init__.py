"""How each vendor speaks: generators that ask for requests and turn pages into records, without any network."""
