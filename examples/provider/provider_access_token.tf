# The access token comes from the BITBUCKET_TOKEN environment variable.
# BITBUCKET_USERNAME must not be set. With a username, the provider sends the token as an API token.
provider "bitbucket" {}
