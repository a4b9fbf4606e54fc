# All keys that are there are allowed, until the next apply.
terraform import bitbucket_deploy_keys_exclusive.website acme/website
