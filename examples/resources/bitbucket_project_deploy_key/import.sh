# By ID, fingerprint or label, or by the address of the key in Bitbucket:
terraform import bitbucket_project_deploy_key.example acme/WEB/10958984
terraform import bitbucket_project_deploy_key.example acme/WEB/SHA256:ipnn0P300uPRisyuLgmWzcplDidyXAlZrdbVHDj/dJg
terraform import bitbucket_project_deploy_key.example acme/WEB/label:CI
terraform import bitbucket_project_deploy_key.example https://bitbucket.org/acme/workspace/projects/WEB/settings/access-keys/10958984
