"""From what a source delivers to the logical types of a contract, a whole column at a time.

Every conversion takes a column and returns it in the wanted type, with null where a value could not be read,
and says which values those were. None raises and none quotes a value.
"""
