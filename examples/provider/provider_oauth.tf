# The secret comes from the BITBUCKET_OAUTH_CLIENT_SECRET environment variable.
provider "bitbucket" {
  oauth_client_id = "Xn4kQ7vTz2pLw9sRbE"
}
