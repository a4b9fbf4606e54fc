# The access token comes from the BITBUCKET_TOKEN environment variable.
# BITBUCKET_USERNAME must not be set: beside it, the token counts as an API token.
provider "bitbucket" {}
