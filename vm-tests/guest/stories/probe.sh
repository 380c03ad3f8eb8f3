# Nothing: a guest that gets this far works.
true
