# An import allows all existing keys: key_ids in the state has their IDs.
terraform import bitbucket_project_deploy_keys_exclusive.web acme/WEB
# The address of the page that lists the keys
terraform import bitbucket_project_deploy_keys_exclusive.web https://bitbucket.org/acme/workspace/projects/WEB/settings/access-keys/
