"""The store on a Qdrant server or cluster, over gRPC: the only package that touches qdrant-client.

`server` connects, `messages` converts, `collections` names and makes the collections, `store` reads and writes them,
`builder` builds new ones aside.
"""
