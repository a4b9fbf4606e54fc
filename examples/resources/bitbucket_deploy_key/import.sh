terraform import bitbucket_deploy_key.example acme/website/10958984
