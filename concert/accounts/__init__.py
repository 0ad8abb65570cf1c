"""Users and user tokens: who somebody is, without a login."""
