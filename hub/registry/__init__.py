"""Contracts: their ids, their compatibility, their bytes on the wire, the models made from them."""
