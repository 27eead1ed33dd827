extension OpTable {
    static let shapeOps: [Op] = []
}
