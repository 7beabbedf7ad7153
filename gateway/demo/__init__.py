"""The main job, played: a fresh bureau, two participants, a tour by a real HTTP client."""
