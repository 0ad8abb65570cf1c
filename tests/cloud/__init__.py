"""The pictures for a cloud: `make test-deploy`, in an environment of its own."""
