"""What is said between the agent's model and us. The texts themselves are `agents.prompts`.

`messages` builds what the model reads, `parsing` takes the program out of what it said,
`observation` tells it what came of that, and `sightings` finds secrets and personal data in it all.
"""
