extension OpTable {
    static let linearOps: [Op] = []
}
