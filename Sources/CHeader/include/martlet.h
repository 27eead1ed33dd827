#ifndef MARTLET_H
#define MARTLET_H
#endif
