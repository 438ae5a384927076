# What happens to objects of every kind; the events of it are compared.
docker volume create --label team=blue v1
docker network create --label team=blue n1
docker create --name a1 --label team=blue -v v1:/data $IMAGE sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done'
docker start a1
docker exec a1 true
docker exec a1 nosuch
docker exec -d a1 sleep 0.1
for i in $(seq 300); do docker inspect -f '{{.ExecIDs}}' a1 | grep -q '[0-9a-f]' || break; sleep 0.1; done
docker pause a1
docker unpause a1
docker rename a1 a2
docker update --memory 64m --memory-swap 64m a2
docker network connect n1 a2
docker network disconnect n1 a2
echo hello >f
docker cp f a2:/f
docker cp a2:/f g
docker export a2 >/dev/null
docker commit -m note a2 made:1
docker kill -s USR1 a2
docker restart -t 20 a2
docker stop -t 20 a2
docker start a2
docker kill a2
docker wait a2
docker rm a2
docker run --rm -v v1:/data:ro --network n1 --name r1 $IMAGE true
docker run --rm -v /anonymous --name r2 $IMAGE sh -c 'exit 3'
docker run -d --name h1 --health-cmd true --health-interval 1s $IMAGE sleep 100
until [ "$(docker inspect -f '{{.State.Health.Status}}' h1)" = healthy ]; do sleep 0.1; done
sleep 1
docker rm -f h1
docker tag made:1 made:2
docker save made:1 >made.tar
docker rmi made:1
docker rmi made:2
docker load -i made.tar
docker rmi made:1
docker volume rm v1
docker network rm n1
docker create --name p1 $IMAGE true
docker network create n2
docker volume create v2
docker container prune -f
docker network prune -f
docker volume prune -af
docker image prune -f
docker run --name o1 -m 24m --memory-swap 24m $IMAGE sh -c 'a=x; while :; do a=$a$a; done'
docker rm -v o1
