terraform {
  required_providers {
    bitbucket = {
      source  = "bitbucket-deploy-keys/bitbucket"
      version = "~> 0.1.0"
    }
  }
}

# The API token comes from the BITBUCKET_TOKEN environment variable.
provider "bitbucket" {
  username = "ci@example.com"
}
