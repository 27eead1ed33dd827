extension OpTable {
    static let sequenceOps: [Op] = []
}
