# All keys that are there are allowed, until the next apply.
terraform import bitbucket_project_deploy_keys_exclusive.web acme/WEB
